"""What the notebooks and the training scripts of the shipped models share."""
