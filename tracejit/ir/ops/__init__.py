"""The vocabulary: one record per op. `from tracejit.ir import ops`, then `ops.add(x, y)`."""

from .checks import *
from .contract import *
from .control import *
from .create import *
from .draw import *
from .elementwise import *
from .elimination import *
from .expand import *
from .extern import *
from .fourier import *
from .gufunc import *
from .indexing import *
from .movement import *
from .ordered import *
from .packed_orders import *
from .partition import *
from .ranks import *
from .ranks_at import *
from .reduce import *
from .relayout import *
from .search import *
from .segments import *
from .selection import *
from .sort import *
from .stacks import *
from .update import *
