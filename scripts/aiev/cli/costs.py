"""`aiev costs`: what the answers in a run's ledger were paid with."""

import json

from aiev.cli.options import DEFAULT_CONFIG, ConfigOption, JsonOption, ledger_of, spending_of


def costs(config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False) -> None:
    """Print the tokens and dollars paid so far through the run's ledger, by stage and model.

    All runs with the same ledger count together. Dollars follow from the config's prices.

    \b
      aiev costs
      aiev costs --config config/mine.yaml --json
    """
    from aiev.config.load import read_config
    from aiev.engine.directories import check_directories
    from aiev.llm.costs import cost_table
    from aiev.reporting.terminal import columns

    read = read_config(config)
    check_directories(ledger=str(ledger_of(read)))
    spending = spending_of(read)
    if not as_json:
        print("\n".join(columns(cost_table(spending), names=2)))
        return
    paid = [
        {
            "stage": stage,
            "model": model,
            "calls": calls,
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "usd": spending.usd(model, (prompt, completion)),
        }
        for (stage, model), (calls, prompt, completion) in sorted(spending.tally().paid.items())
    ]
    print(json.dumps(paid, indent=2))
