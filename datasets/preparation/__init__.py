"""Reading foreign files and archives, and writing a prepared data set."""
