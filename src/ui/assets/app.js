// The file manager: what a folder is in a browser.
