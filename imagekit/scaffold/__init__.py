"""The files of a family of images: written by `imagekit init`, updated by `init --update`."""
