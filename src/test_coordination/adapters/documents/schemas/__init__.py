"""The JSON Schemas of documents, made from the forms and the catalogue."""
