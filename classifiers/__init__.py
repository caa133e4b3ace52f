"""Training, evaluation and calibration of classifiers; what it hands to `mdfs.classify` is a folder with a card."""
