"""Every workflow type there is."""

from workflows.analyze_app import AnalyzeApp
from workflows.certificate_watch import CertificateWatch
from workflows.delete_app import DeleteApp
from workflows.deploy_app import DeployApp
from workflows.health_watch import HealthWatch
from workflows.import_app import ImportApp
from workflows.plan_change import PlanChange
from workflows.provider_watch import ProviderWatch
from workflows.reconcile import Reconcile
from workflows.select_providers import SelectProviders
from workflows.stop_app import StopApp

WORKFLOWS = (
    ImportApp,
    AnalyzeApp,
    PlanChange,
    SelectProviders,
    DeployApp,
    StopApp,
    DeleteApp,
    HealthWatch,
    ProviderWatch,
    CertificateWatch,
    Reconcile,
)
