from setuptools import find_packages, setup

setup(
    name="old",
    packages=find_packages(),
    install_requires=["absl-py", "six"],
    extras_require={"gpu": ["tensorflow-gpu"], "cpu": ["tensorflow-cpu"]},
)
