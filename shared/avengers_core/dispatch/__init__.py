"""One call through the router: choose, reserve, try, fall back, price, record."""
