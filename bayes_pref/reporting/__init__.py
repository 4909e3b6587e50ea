"""Results as HTML pages and folders of files."""
