"""The layout on disk that every data set is prepared into."""
