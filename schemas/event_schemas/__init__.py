"""The events Handoff's services say to each other, and the closed lists of codes they carry."""
