"""What check and doctor look at: one `ok` for each thing, or what is wrong with its remedy."""
