"""Starting and watching i-PI and its servers."""
