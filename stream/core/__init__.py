"""The pure core: what a document, a change event, a position and a window mean; no effects."""
