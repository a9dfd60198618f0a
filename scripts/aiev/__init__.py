"""The library behind the scripts: AIEV-Instruct dialogues, their training and their scores.

It knows no Snakemake. Modules stand on floors, and imports run one way, down this list:
mains (scripts/*.py) -> method -> machines -> stores -> ground.
"""
