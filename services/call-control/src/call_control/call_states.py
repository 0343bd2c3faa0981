"""`python -m call_control.call_states > docs/call-states.md`"""

import sys

from call_control.core.machine.diagram import page

if __name__ == "__main__":
    sys.stdout.write(page())
