//! What went into an image, and the record of it inside the image.
