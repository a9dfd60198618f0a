"""The four special tokens around code that is to be run and around its result (METHOD 3).

Training imports them from here alone: how dialogues are tagged makes no checkpoint stale, only the
tagged data do.
"""

RUN_START, RUN_STOP = "<API_RUN_START>", "<API_RUN_STOP>"
RES_START, RES_STOP = "<API_RES_START>", "<API_RES_STOP>"
TOKENS = (RUN_START, RUN_STOP, RES_START, RES_STOP)
