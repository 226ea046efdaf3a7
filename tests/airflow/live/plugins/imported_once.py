"""What the tasks import: each is forked from a worker, which has it then; a third of what a task costs.

That a task comes to it by itself, tests/ui and tests/floors see.
"""

from airflow_bitrix.assets.portals import links_asset
from airflow_bitrix.operators import contact_links, link_plans
from airflow_bitrix.pipelines import carry_out

__all__ = ["carry_out", "contact_links", "link_plans"]

# With the first asset that has an address Airflow imports whoever knows one kind of these, such as boto3.
links_asset("example.bitrix24.com", "lead")
