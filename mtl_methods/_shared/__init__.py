"""Parts that two or more methods use."""
