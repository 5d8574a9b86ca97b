from setuptools import setup

setup(install_requires=open("r.txt").read().split(), extras_require=dict(any=["six"]))
