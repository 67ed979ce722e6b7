"""DicomEdit 6: the language of XNAT's scripts, from text to statements to changes of a data set."""
