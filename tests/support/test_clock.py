import datetime

from imagekit.support import clock


def test_a_clock_that_is_set_back_shortens_nothing(monkeypatch):
    monotonic = iter((100.0, 107.5))
    monkeypatch.setattr(clock.time, "monotonic", lambda: next(monotonic))
    own = clock.Clock()
    begin = own._start

    class Back(datetime.datetime):
        @classmethod
        def now(cls, tz=None):
            return begin - datetime.timedelta(hours=1)

    monkeypatch.setattr(clock.datetime, "datetime", Back)
    assert (own.now() - begin).total_seconds() == 7.5
