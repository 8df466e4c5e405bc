"""Images as the sequence that an encoder sees: patches under one linear map, a class token, positions."""
