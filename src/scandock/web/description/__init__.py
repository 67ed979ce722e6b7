"""What the API's description says of answers, headers and bodies; answers are never checked against it on their way."""
