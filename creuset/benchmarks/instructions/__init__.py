"""Does a reply do what was asked?"""
