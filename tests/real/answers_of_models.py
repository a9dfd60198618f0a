"""Right answers to one problem of each language, in the layouts that chat models write."""

COMMENT = "Return the double of a number.\n"
TASKS = {
    "cpp": {
        "prompt": "#include<assert.h>\n#include<bits/stdc++.h>\n// Doubles all.\n"
        "std::vector<long> unique(std::vector<long> xs) {\n",
        "tests": "}\nint main() {\n    auto candidate = unique;\n"
        "    assert(candidate((std::vector<long>({(long)1, (long)2}))) "
        "== (std::vector<long>({(long)2, (long)4})));\n}\n",
        "stop_tokens": ["\n}"],
    },
    "java": {
        "prompt": "import java.util.*;\nimport org.javatuples.*;\nclass Problem {\n"
        "    // Doubles a number.\n    public static long twice(long x) {\n",
        "tests": "    }\n    public static void main(String[] args) {\n"
        "    assert(twice((2l)) == (4l));\n    }\n\n}\n",
        "stop_tokens": ["\n    }\n"],
    },
    "js": {
        "prompt": "//Doubles a number.\nfunction twice(x, y){\n",
        "tests": "const assert = require('node:assert');\n\n\nfunction test() {\n"
        "  let candidate = twice;\n  assert.deepEqual(candidate(2, 1),4);\n}\n\ntest();",
        "stop_tokens": ["\nfunction ", "\n/*", "\n//", "\nconsole.log"],
    },
    "php": {
        "prompt": "<?php\n// Doubles a number.\nfunction twice($x, $y) {\n",
        "tests": "function candidate(...$args) {\n    return twice(...$args);\n}\n\n"
        'function test(): void {\n    if (candidate(2, 1) !== 4) { throw new Exception("no"); }\n'
        "}\n\ntest();",
        "stop_tokens": ["\nfunction", "\n?>", "\n//", "\n#"],
    },
    "rs": {
        "prompt": "use std::collections::HashMap;\n\n/// Doubles a number.\n"
        "fn twice(x: isize, y: isize) -> isize {\n",
        "tests": "}\n\nfn main() {\n    let candidate = twice;\n"
        "    assert_eq!(candidate(2, 1), 4);\n}\n",
        "stop_tokens": ["\n}"],
    },
    "ts": {
        "prompt": "//Doubles a number.\nfunction twice(x: number, y: number): number {\n",
        "tests": "declare var require: any;\nconst assert = require('node:assert');\n\n\n"
        "function test() {\n  let candidate = twice;\n  assert.deepEqual(candidate(2, 1),4);\n}\n\n"
        "test();",
        "stop_tokens": ["\nfunction ", "\n/*", "\n//", "\nclass"],
    },
}
"""Problems in MultiPL-E's form."""

CODE = {
    "cpp": {
        "as asked": """
std::vector<long> unique(std::vector<long> xs) {
    for (auto &x : xs) { x *= 2; }
    return xs;
}
""",
        "on one line": "std::vector<long> unique(std::vector<long> xs) { for (auto& x : xs) "
        "x *= 2; return xs; }  // done",
        "a program": """
#include <iostream>
#include <vector>
using namespace std;

std::vector<long> unique(std::vector<long> xs)
{
    vector<long> doubled;
    for (long x : xs) {
        doubled.push_back(2 * x);
    }
    return doubled;
}

int main() {
    cout << unique({1, 2}).size() << endl;
    return 0;
}
""",
        "without std": """
#include <vector>
using namespace std;

vector<long> unique(vector<long> xs) {
    vector<long> doubled;
    for (long x : xs) doubled.push_back(2 * x);
    return doubled;
}
""",
        "helpers": """
#include <numeric>
#define FACTOR 2

/* Doubles
one number. */
template <typename T>
T twice(T x) {
    if (x == '}') { return FACTOR * x; }
    return FACTOR * x;
}
long more(long x);

std::vector<long> unique(std::vector<long> xs) {
    for (auto& x : xs) {
        x = more(x);
    }
    return xs;
}

long more(long x) {
    return twice(x);
}
""",
        "another name": """
std::vector<long> unique(const std::vector<long>& numbers) {
    std::vector<long> doubled(numbers);
    for (auto& each : doubled) each *= 2;
    return doubled;
}
""",
    },
    "java": {
        "at the margin": """
public static long twice(long x) {
    if (x > 0) {
        return 2 * x;
    }
    return x + x;
}
""",
        "brace below": "public static long twice( long x )\n{\n    return 2 * x;\n}",
        "helpers at the margin": """
import java.math.BigInteger;
import java.util.stream.*;

class Factor {
    static final long TWO = 2;
}

private static long more(long x) {
    return BigInteger.valueOf(x).longValue() * Factor.TWO;
}

public static long twice(long x) {
    return more(x);
}
""",
        "a program": """
package tools;

import java.math.BigInteger;

public class Solution {
    private static final long FACTOR = 2;

    /**
     * Doubles a number.
     */
    public static long twice(long x) {
        return Solution.more(x);
    }

    private static long more(long x) {
        return BigInteger.valueOf(x).longValue() * FACTOR;
    }

    public static void main(String[] args) {
        System.out.println(twice(3));
    }
}
""",
        "another name": """
public class Problem {
  static long twice(long number) {
    return 2 * number;
  }
}
""",
    },
    "js": {
        "formatted": "function twice(x, y) {\n  return 2 * x;\n}\n",
        "on lines": "function twice(\n  x,\n  y,\n) {\n  return 2 * x;\n}\n",
        "an arrow": "const twice = (x, y) => {\n  return 2 * x;\n};\n\n"
        "module.exports = { twice };\n",
        "an arrow without a brace": "const twice = x => 2 * x\n\nconsole.log(twice(3))\n",
        "another name": "function twice(number) {\n  return 2 * number;\n}\n",
        "helpers": """
'use strict';
const assert = require('assert');
const FACTOR = 2

const more = (x) => {
  return before(x);
};

function before(x) {
  return x * FACTOR;
}

/**
 * Doubles a number.
 */
export function twice(x, y) {
// at the margin
  return after(x);
}

function after(x) {
  return more(x);
}

// Tests
function test() {
  assert.deepEqual(twice(3), 6);
}
const found = twice(3);
console.log(found);
no_such_function();
""",
    },
    "php": {
        "formatted": "<?php\nfunction twice($x, $y)\n{\n    return 2 * $x;\n}\n?>\n",
        "typed": "function twice(int $x, int $y): int {\n    return 2 * $x;\n}\n\n"
        "echo twice(3, 4);\n",
        "helpers": """
<?php

declare(strict_types=1);

const FACTOR = 2;

function more($x) {
    return FACTOR * $x;
}

/**
 * Doubles a number.
 */
function twice($x, $y) {
    return after($x);
}

function after($x) {
    return more($x);
}

// Example
no_such_function();
""",
    },
    "rs": {
        "public": "pub fn twice(x: isize, y: isize) -> isize {\n    2 * x\n}\n",
        "on lines": "fn twice(\n    x: isize,\n    y: isize,\n) -> isize {\n    2 * x\n}\n",
        "another name": "fn twice(number: isize, _: isize) -> isize { 2 * number }",
        "helpers": """
#![allow(dead_code)]
use std::collections::{HashMap, HashSet};

#[derive(Debug, Clone)]
struct Factor<'a> {
    of: &'a str,
    by: isize,
}

/// Doubles a number.
#[allow(unused_variables)]
fn twice(x: isize, y: isize) -> isize {
    let known: HashMap<char, isize> = [('{', 2)].iter().cloned().collect();
    let all: HashSet<isize> = HashSet::new();
    more(x, &Factor { of: "x", by: known[&'{'] }) + all.len() as isize
}

fn more<'a>(x: isize, factor: &'a Factor<'a>) -> isize {
    x * factor.by
}

fn main() {
    println!("{}", twice(3, 4));
}
""",
    },
    "ts": {
        "formatted": "function twice(x: number,\n               y: number) : number\n{\n"
        "  return 2 * x;\n}",
        "exported": "export function twice(x: number, y: number): number {\n  return 2 * x;\n}\n",
        "an arrow": "const twice = (x: number, y: number): number => 2 * x;\n\n"
        "export default twice;\n",
        "helpers": """
type Factor = { by: number };
const factor: Factor = { by: 2 };

function twice(x: number, y: number): number {
  return more(x, factor);
}

function more(x: number, factor: Factor): number {
  return x * factor.by;
}

function test() {
  console.log(twice(3, 4));
}
test();
""",
    },
}
"""Right answers by language and layout."""

FENCES = {"rs": "rust", "js": "javascript", "ts": "typescript"}
ANSWERS = {
    language: {
        layout: f"Here it is:\n\n```{FENCES.get(language, language)}\n{code.strip()}\n```\nDone.\n"
        for layout, code in own.items()
    }
    for language, own in CODE.items()
}
