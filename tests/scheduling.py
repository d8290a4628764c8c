"""Which worker gets which tests."""

from functools import cached_property

from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped]
from xdist.workermanage import WorkerController  # type: ignore[import-untyped]


class ByScope(LoadScopeScheduling):  # type: ignore[misc]  # it has no types
    """A class or module at a time, that of the most tests first, as `--dist loadscope` says.

    That of pytest-xdist goes through all that a worker has done after each test, and through the
    whole collection to find each one: of tens of thousands, longer than some of them take.
    """

    @cached_property
    def _places(self) -> dict[str, int]:
        """Where each test is in the collection, which is the same for all workers."""
        return {nodeid: place for place, nodeid in enumerate(self.collection or ())}

    def _assign_work_unit(self, node: WorkerController) -> None:
        scope, unit = self.workqueue.popitem(last=False)
        self.assigned_work[node][scope] = unit
        node.send_runtest_some([self._places[nodeid] for nodeid in unit])

    def mark_test_complete(
        self, node: WorkerController, item_index: int, duration: float = 0
    ) -> None:
        """Forget the test, and its scope with its last one."""
        nodeid = self.registered_collections[node][item_index]
        scope = self._split_scope(nodeid)
        units = self.assigned_work[node]
        del units[scope][nodeid]
        if not units[scope]:
            del units[scope]
        self._reschedule(node)
