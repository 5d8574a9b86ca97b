"""Functions for notebooks: tables, pictures, widgets and the result of a run.

Only this package imports pandas and ipywidgets.
"""
