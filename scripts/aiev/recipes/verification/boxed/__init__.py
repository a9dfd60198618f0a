"""The checker: programs that are copied into the sandbox and run there, on the standard library.

Four kinds of processes take part:
  controller  starts the others, one pair for each case, and reports; runs no code of a model
  starter     starts the solutions; forked before the cases are read, so that it knows no test
  tests       runs the tests, with stand-ins for the functions of the solution; holds the expected
              values and tells the controller of every check as it happens
  solution    runs the solution, and answers calls over a socket

So a solution cannot see what is expected of it, skip a check, end the tests or report for them, nor
know whether it stands for a stub. What it leaves behind is ended before the next case.
"""
