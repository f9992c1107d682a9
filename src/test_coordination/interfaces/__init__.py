"""The driving side: what people and programs call."""
