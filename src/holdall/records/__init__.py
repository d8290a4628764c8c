"""Records: fields under an id, and queries over them."""
