//! AWS Signature Version 4: parse, canonicalise, verify, sign. Bytes, keys and `now` come in; a proof or an error out.
