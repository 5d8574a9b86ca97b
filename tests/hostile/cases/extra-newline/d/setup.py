import x
from setuptools import setup

setup(**x.y)
