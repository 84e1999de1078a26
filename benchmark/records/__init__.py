"""Result files: their content, how they are written, and who may write them."""
