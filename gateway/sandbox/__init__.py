"""One local server that stands in for the helpdesks, with a page that shows its tickets."""
