"""`avengers ui`: a console in the browser that shows what a ledger holds and why the router chose as it did."""
