"""Where records are kept: one module or package a backend."""
