"""What intake decides, without input or output: times, rows and answers are passed in.

`properties` says which reports mean the same building, `residents` which names mean the same
household, `consents` what a consent lets out, `referrals` what a referral must bring, and
`inspections` what findings ask for. `rows` are the shapes that are stored.
"""
