"""What is compared: one adapter for each system."""
