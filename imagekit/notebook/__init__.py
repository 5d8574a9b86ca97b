"""What notebooks need beyond the pipeline: tables, pictures, and the record of a run.

pandas, papermill and everything of Jupyter's is imported on this floor only.
"""
