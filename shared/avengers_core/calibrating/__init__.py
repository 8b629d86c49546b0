"""Learn what a user's models can do by asking them few, well-chosen questions."""
