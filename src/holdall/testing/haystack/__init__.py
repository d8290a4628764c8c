"""Generated values of Project Haystack, for tests of what carries them."""
