"""Labels of frames by any reference, each on disk once it is computed."""
