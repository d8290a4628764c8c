"""The parts that `AsyncDataStore` and `DataStore` are made of, each pair side by side."""
