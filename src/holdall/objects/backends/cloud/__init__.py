"""Objects in Amazon S3 and what speaks its protocol, in Azure Blob Storage, in Google's storage.

Bodies travel through obstore; what obstore has no call for, requests of our own do, signed with
the same credentials: listings, attributes, tags, uploads that can be continued, conditional copies.
"""
