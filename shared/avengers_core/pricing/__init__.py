"""US dollars of tokens, and tokens as providers report them."""
