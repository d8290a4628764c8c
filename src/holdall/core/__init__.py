"""What every floor above stands on: references, errors, configuration, and how to wait."""
