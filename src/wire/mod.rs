//! Row 2: codecs. Neutral requests to bytes and bytes to neutral events, both directions, without IO.
