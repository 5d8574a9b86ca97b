"""What holds for the images of this repository, whatever they are.

These tests know no axis, image or version. All others read the family in `tests/fixtures/family/`.
"""
